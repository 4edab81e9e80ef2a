-- Of these meetings (tenant, id, and so on) those that are known, with their servers.
local rows = {}
for at = 3, #ARGV, 2 do
  local ref = find(ARGV[at], ARGV[at + 1])
  local row = ref and meeting(ref)
  local host = row and server(table_of(row[2]).server_id)
  if host then rows[#rows + 1] = { row, host } end
end
return rows
