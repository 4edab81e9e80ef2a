-- All servers, and the revision of what processes remember of them.
local rows = {}
for _, id in ipairs(call('SMEMBERS', SERVERS)) do
  local row = server(id)
  if row then rows[#rows + 1] = row end
end
return { rows, call('GET', own('counter', 'revision')) }
