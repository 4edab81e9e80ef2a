-- Removes a management token. Returns 0 if there is none of this id.
call('HDEL', prefix .. 'own:management_token_uses', ARGV[3])
return call('HDEL', prefix .. 'own:management_tokens', ARGV[3])
