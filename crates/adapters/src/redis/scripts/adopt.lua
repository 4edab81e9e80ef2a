-- Lists these meetings with their servers, which the original does not do.
for at = 3, #ARGV do
  local id = call('HGET', meeting_key(ARGV[at]), 'server_id')
  if id then call('SADD', own('on', id), ARGV[at]) end
end
return 1
