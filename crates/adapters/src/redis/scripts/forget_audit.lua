-- Forgets records of the audit from before a time, and the oldest ones beyond a number.
local key = prefix .. 'own:audit'
call('ZREMRANGEBYLEX', key, '-', ARGV[3])
call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[4]))
return 1
