-- Writes the BBB version of a server: server, version.
if call('EXISTS', server_key(ARGV[3])) == 1 then
  call('HSET', server_key(ARGV[3]), 'bbb_version', ARGV[4])
  increment_version(ARGV[3])
  increment_revision()
end
return 1
