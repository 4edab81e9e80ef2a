-- Where a meeting is, or what there is to place it on: tenant, id, now. A claim that ran out, and
-- what is left of a meeting whose server was removed, count as nothing and are undone.
local ref = find(ARGV[3], ARGV[4])
if ref then
  local row = meeting(ref)
  local host = row and server(table_of(row[2]).server_id)
  if not host then
    forget(ref)
  else
    local fields = table_of(row[3])
    if not fields.claim_token or tonumber(ARGV[5]) <= tonumber(fields.claim_until) then
      return { 'known', row, host }
    end
    undo(row)
  end
end
return {
  'free',
  call('ZRANGE', LOAD, 0, -1, 'WITHSCORES'),
  call('GET', own('counter', 'revision')),
}
