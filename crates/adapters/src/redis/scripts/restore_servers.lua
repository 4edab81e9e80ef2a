-- Adds servers, given as JSON, if there are none and the store does not have this id: id, servers.
if call('GET', prefix .. 'own:store_id') == ARGV[3] then return 0 end
for _, id in ipairs(call('SMEMBERS', SERVERS)) do
  if call('EXISTS', server_key(id)) == 1 then return 0 end
end
for _, new in ipairs(cjson.decode(ARGV[4])) do add_server(new) end
return 1
