-- Where a meeting is, or what there is to place it on: tenant, id, now, token. A claim that ran out,
-- and what is left of a meeting whose server was removed, count as nothing and are undone. What yields
-- stays until there is a place. The last ones are servers of other tenants' meetings of that id.
local ref = find(ARGV[3], ARGV[4])
if ref then
  local row = meeting(ref)
  local host = row and server(table_of(row[2]).server_id)
  if not host then
    forget(ref)
  else
    local way = obstacle(row, ARGV[6], ARGV[5])
    if way == 'stays' then return { 'known', row, host } end
    if way == 'expired' then undo(row) end
  end
end
local loads = call('ZRANGE', LOAD, 0, -1, 'WITHSCORES')
local placed = {}
for at = 1, #loads, 2 do placed[#placed + 1] = placed_on(loads[at]) end
local others = servers_of_others(ARGV[3], ARGV[4])
return { 'free', loads, placed, call('GET', own('counter', 'revision')), others }
