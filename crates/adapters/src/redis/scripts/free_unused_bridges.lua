-- Frees those of the given voice bridges whose meeting is gone or has another one.
for at = 3, #ARGV do
  if is_bridge_free(ARGV[at]) then call('HDEL', BRIDGES, ARGV[at]) end
end
return 1
