-- Undoes the placement of a meeting if this claim is still on it: tenant, id, token, pending ends
-- as JSON. Returns 0 if it is not.
local ref = find_ref(ARGV[3], ARGV[4])
local row = ref and read_meeting(ref)
if not row or to_table(row[3]).claim_token ~= ARGV[5] then return 0 end
put_pending_ends(cjson.decode(ARGV[6]))
undo_placement(row)
return 1
