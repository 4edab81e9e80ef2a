-- Returns subjects and entries of all blocks that begin at a time: the span, the start.
return call('HGETALL', prefix .. 'own:samples:' .. ARGV[3] .. ':' .. ARGV[4])
