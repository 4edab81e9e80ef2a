-- Returns where a meeting is, or what is needed to place it: tenant, id, time, token. Undoes the
-- record of a meeting if its claim has expired or its server was removed; a replaceable record
-- stays until the meeting is placed. The reply is { 'known', meeting, server } or { 'placeable',
-- loads, counts of placed meetings in the order of the loads, revision of the servers, servers of
-- other tenants' meetings of this id }.
local ref = find_ref(ARGV[3], ARGV[4])
if ref then
  local row = read_meeting(ref)
  local server_row = row and read_server(to_table(row[2]).server_id)
  if not server_row then
    forget_meeting(ref)
  else
    local conflict = record_conflict(row, ARGV[6], ARGV[5])
    if conflict == 'blocking' then return { 'known', row, server_row } end
    if conflict == 'expired' then
      undo_placement(row)
      put_end_of_replaced(ARGV[3], ARGV[4], row, ARGV[6], ARGV[5])
    end
  end
end
local loads = call('ZRANGE', LOAD, 0, -1, 'WITHSCORES')
local placed = {}
for at = 1, #loads, 2 do placed[#placed + 1] = placed_since_poll(loads[at]) end
local others = servers_of_other_tenants(ARGV[3], ARGV[4])
return { 'placeable', loads, placed, call('GET', own_key('counter', 'revision')), others }
