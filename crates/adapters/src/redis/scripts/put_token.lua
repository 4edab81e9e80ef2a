-- Stores a one-time token: token, what it grants as JSON, ms until it expires, time when it
-- expires.
call('SET', prefix .. 'protector_token_' .. ARGV[3], ARGV[4], 'PX', ARGV[5])
call('SET', own_key('token', ARGV[3]), ARGV[6], 'PX', ARGV[5])
return 1
