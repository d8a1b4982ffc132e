-- ARGV: limits, shopper, phone_ref, until, now. Nobody calls the person, or the number, before that time.
lock_out(ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]))
return 0
