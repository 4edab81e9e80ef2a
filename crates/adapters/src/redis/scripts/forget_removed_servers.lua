-- Removes what is left of servers that the original removed.
for _, set in ipairs({ LOAD, CORDONED, own_key('order', 'servers') }) do
  for _, id in ipairs(call('ZRANGE', set, 0, -1)) do
    if call('EXISTS', server_key(id)) == 0 then
      call('ZREM', set, id)
      for _, ref in ipairs(call('SMEMBERS', own_key('meetings_on', id))) do
        local row = call('SISMEMBER', DETACHED, ref) == 1 and read_meeting(ref)
        if row and to_table(row[3]).detached then forget_meeting(ref) end
      end
      call('DEL', own_key('server', id), own_key('meetings_on', id), own_key('pending_ends', id))
    end
  end
end
return 1
