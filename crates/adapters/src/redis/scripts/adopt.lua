-- Lists these meetings with their servers, which the original does not do.
for at = 3, #ARGV do
  local key = meeting_key(ARGV[at])
  local id = call('HGET', key, 'server_id')
  if id and call('EXISTS', server_key(id)) == 1 then call('SADD', own('on', id), ARGV[at]) end
  -- The original of 2020 keeps them for ever, others perhaps for longer than we: from the time left
  -- we tell when they were seen.
  local left = id and call('PTTL', key)
  if left and (left < 0 or left > tonumber(ttl)) then call('PEXPIRE', key, ttl) end
end
return 1
