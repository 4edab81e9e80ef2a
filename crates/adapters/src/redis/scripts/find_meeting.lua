-- Returns a meeting and its server, or false: tenant, id.
local ref = find_ref(ARGV[3], ARGV[4])
if not ref then return false end
local row = read_meeting(ref)
local server_row = row and read_server(to_table(row[2]).server_id)
if not server_row then return false end
return { row, server_row }
