-- Returns all servers, and the revision under which processes may cache them.
local rows = {}
for _, id in ipairs(call('SMEMBERS', SERVERS)) do
  local row = read_server(id)
  if row then rows[#rows + 1] = row end
end
return { rows, call('GET', own_key('counter', 'revision')) }
