-- Keeps a one-time token: token, what it opens, ms left, until when.
call('SET', prefix .. 'protector_token_' .. ARGV[3], ARGV[4], 'PX', ARGV[5])
call('SET', own('token', ARGV[3]), ARGV[6], 'PX', ARGV[5])
return 1
