-- Undoes a place if the claim stands: tenant, id, token, endings as JSON.
local ref = find(ARGV[3], ARGV[4])
local row = ref and meeting(ref)
if not row or table_of(row[3]).claim_token ~= ARGV[5] then return 0 end
remember(cjson.decode(ARGV[6]))
undo(row)
return 1
