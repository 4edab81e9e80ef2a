-- Adds meetings (their refs) to our lists of meetings by server, which the original does not write.
for at = 3, #ARGV do
  local ref = ARGV[at]
  local key = meeting_key(ref)
  local server_id = call('HGET', key, 'server_id')
  if server_id and call('EXISTS', server_key(server_id)) == 1 then
    call('SADD', own_key('meetings_on', server_id), ref)
  end
  -- The original of 2020 keeps meetings for ever, and later ones may keep them longer than we do.
  -- The time that is left tells when a meeting was seen, so it must not exceed ours.
  local left = server_id and call('PTTL', key)
  if left and (left < 0 or left > tonumber(ttl)) then call('PEXPIRE', key, ttl) end
end
return 1
