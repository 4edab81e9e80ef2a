-- Returns the internalMeetingID and the sealed create that are kept of a meeting: tenant, id. Returns nil if there is none,
-- or if the recorded meeting is another one.
local ref = find_ref(ARGV[3], ARGV[4])
local row = ref and read_meeting(ref)
local kept = row and call('HMGET', create_key(ref), 'internal_id', 'sealed')
if not kept or not kept[2] or to_table(row[3]).internal_id ~= kept[1] then return false end
return kept
