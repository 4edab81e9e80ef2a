-- Returns those of several meetings that are recorded, each with its server. Two arguments for
-- each: tenant, id.
local rows = {}
for at = 3, #ARGV, 2 do
  local ref = find_ref(ARGV[at], ARGV[at + 1])
  local row = ref and read_meeting(ref)
  local server_row = row and read_server(to_table(row[2]).server_id)
  if server_row then rows[#rows + 1] = { row, server_row } end
end
return rows
