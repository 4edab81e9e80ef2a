-- Returns records of the audit, the newest first: the latest time, the earliest time, how many to skip, how many.
return call('ZREVRANGEBYSCORE', prefix .. 'own:audit', ARGV[3], ARGV[4], 'LIMIT', ARGV[5], ARGV[6])
