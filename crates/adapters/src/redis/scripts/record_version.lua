-- Writes the version of a server.
if call('EXISTS', server_key(ARGV[3])) == 1 then
  call('HSET', server_key(ARGV[3]), 'bbb_version', ARGV[4])
  bump(ARGV[3])
  revise()
end
return 1
