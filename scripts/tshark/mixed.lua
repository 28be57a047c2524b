-- Mixed requests: methods, bodies of all sizes, and now and then three pipelined at once.
local n, seen = 0, 0
local last = tonumber(os.getenv("WRK_RESPONSES"))

function request()
  n = n + 1
  local kind = n % 6
  if kind == 1 then
    return wrk.format("POST", "/echo/" .. n, { ["Content-Type"] = "text/plain" }, string.rep("b", n * 37 % 9000))
  elseif kind == 3 then
    return wrk.format("PUT", "/echo/put?" .. n, nil, string.rep("p", n % 50))
  elseif kind == 5 then
    local one = wrk.format("GET", "/small.txt?" .. n)
    return one .. wrk.format("POST", "/echo/piped", nil, "piped" .. n) .. one
  end
  return wrk.format("GET", "/" .. (kind == 0 and "text.txt" or "small.txt") .. "?" .. n)
end

function response()
  seen = seen + 1
  if seen >= last then wrk.thread:stop() end
end
