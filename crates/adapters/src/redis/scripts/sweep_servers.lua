-- Frees what is left of servers that the original removed.
for _, set in ipairs({ LOAD, CORDONED, own('order', 'servers') }) do
  for _, id in ipairs(call('ZRANGE', set, 0, -1)) do
    if call('EXISTS', server_key(id)) == 0 then
      call('ZREM', set, id)
      call('DEL', own('server', id), own('on', id))
    end
  end
end
return 1
