-- A meeting and its server as they are, and one user more if the server accepts joins: tenant, id,
-- now.
local ref = find(ARGV[3], ARGV[4])
if not ref then return false end
local row = meeting(ref)
local host = row and server(table_of(row[2]).server_id)
if not host then return false end
local id, fields = host[1], table_of(host[2])
if fields.online == 'true' and state_of(id, fields.state) ~= 'disabled' then
  local seats = table_of(row[3])
  local before = taken(seats, ARGV[5])
  local key = own('meeting', ref)
  if call('HGET', key, 'server') ~= id then
    -- The original made this meeting.
    call('DEL', key)
    call('HSET', key, unpack(row[3]))
    call('PEXPIRE', key, ttl)
  end
  seats.users = call('HINCRBY', key, 'users', 1)
  add_load(id, taken(seats, ARGV[5]) - before)
  bump(id)
end
return { row, host }
