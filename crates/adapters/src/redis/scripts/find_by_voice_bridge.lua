-- Returns the meeting that holds a voice bridge and its server, or false: number.
local ref = call('HGET', BRIDGES, ARGV[3])
if not ref or call('HGET', meeting_key(ref), 'voice_bridge') ~= ARGV[3] then return false end
local row = read_meeting(ref)
local server_row = row and read_server(to_table(row[2]).server_id)
if not server_row then return false end
return { row, server_row }
