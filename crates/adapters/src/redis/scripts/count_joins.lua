-- Counts users who joined: tenant, id, when, how many, and so on.
for at = 3, #ARGV, 4 do
  local ref = find(ARGV[at], ARGV[at + 1])
  local row = ref and meeting(ref)
  local seats = row and table_of(row[3])
  if row and not seats.detached and call('EXISTS', server_key(seats.server)) == 1 then
    local before = taken(seats, ARGV[at + 2])
    renew(ref, seats.server)
    seats.users = call('HINCRBY', own('meeting', ref), 'users', ARGV[at + 3])
    add_load(seats.server, taken(seats, ARGV[at + 2]) - before)
    bump(seats.server)
  end
end
return 1
