-- Keeps the create of a meeting: tenant, id, internalMeetingID, the sealed create, from which size on creates are large, and
-- how large those may be together. Returns 0 without a change if that meeting is not recorded, or if there is no room.
local ref = find_ref(ARGV[3], ARGV[4])
local row = ref and read_meeting(ref)
if not row or to_table(row[3]).internal_id ~= ARGV[5] then return 0 end
local size, large = #ARGV[6], tonumber(ARGV[7])
local total = size
if size > large then
  for other, other_size in pairs(to_table(call('HGETALL', LARGE_CREATES))) do
    if call('EXISTS', create_key(other)) == 0 then
      -- It has expired with its meeting.
      call('HDEL', LARGE_CREATES, other)
    elseif other ~= ref then
      total = total + tonumber(other_size)
    end
  end
  if total > tonumber(ARGV[8]) then return 0 end
end
forget_create(ref)
record_schema_version()
call('HSET', create_key(ref), 'internal_id', ARGV[5], 'sealed', ARGV[6])
call('PEXPIRE', create_key(ref), ttl)
if size > large then call('HSET', LARGE_CREATES, ref, size) end
return 1
