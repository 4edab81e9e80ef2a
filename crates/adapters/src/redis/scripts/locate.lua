-- A meeting and its server: tenant and id.
local ref = find(ARGV[3], ARGV[4])
if not ref then return false end
local row = meeting(ref)
local host = row and server(table_of(row[2]).server_id)
if not host then return false end
return { row, host }
