-- Counts users who joined meetings. Four arguments for each meeting: tenant, id, time of the last
-- join, number of joins.
for at = 3, #ARGV, 4 do
  local ref = find_ref(ARGV[at], ARGV[at + 1])
  local row = ref and read_meeting(ref)
  local fields = row and to_table(row[3])
  if row and not fields.detached and call('EXISTS', server_key(fields.server)) == 1 then
    local before = counted_users(fields, ARGV[at + 2])
    refresh_own_fields(ref, fields.server)
    fields.users = call('HINCRBY', own_key('meeting', ref), 'users', ARGV[at + 3])
    add_load(fields.server, counted_users(fields, ARGV[at + 2]) - before)
    increment_version(fields.server)
  end
end
return 1
