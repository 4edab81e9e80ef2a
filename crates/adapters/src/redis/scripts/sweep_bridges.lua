-- Of these voice bridges, frees those whose meeting is gone or has another.
for at = 3, #ARGV do
  if is_free(ARGV[at]) then call('HDEL', BRIDGES, ARGV[at]) end
end
return 1
