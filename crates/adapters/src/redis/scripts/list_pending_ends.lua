-- Returns all pending ends, by server.
local rows = {}
for _, id in ipairs(call('SMEMBERS', SERVERS)) do
  local found = call('HVALS', own_key('pending_ends', id))
  if #found > 0 then rows[#rows + 1] = { id, found } end
end
return rows
