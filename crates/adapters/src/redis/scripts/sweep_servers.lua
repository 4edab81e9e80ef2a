-- Frees what is left of servers that the original removed.
for _, set in ipairs({ LOAD, CORDONED, own('order', 'servers') }) do
  for _, id in ipairs(call('ZRANGE', set, 0, -1)) do
    if call('EXISTS', server_key(id)) == 0 then
      call('ZREM', set, id)
      for _, ref in ipairs(call('SMEMBERS', own('on', id))) do
        local row = call('SISMEMBER', DETACHED, ref) == 1 and meeting(ref)
        if row and table_of(row[3]).detached then forget(ref) end
      end
      call('DEL', own('server', id), own('on', id), own('endings', id))
    end
  end
end
return 1
