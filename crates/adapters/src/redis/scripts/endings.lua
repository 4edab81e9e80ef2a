-- What is not wanted, with the servers on which it is not.
local rows = {}
for _, id in ipairs(call('SMEMBERS', SERVERS)) do
  local found = call('HVALS', own('endings', id))
  if #found > 0 then rows[#rows + 1] = { id, found } end
end
return rows
