-- wrk's side of scripts/bench.sh:  wrk ... URL -- KIND [DELAY]
--
-- KIND is get (a head of 500 bytes), post (such a head and 1 KB), or mixed (answers of 2 KB to 1 MB, some
-- posts). DELAY in milliseconds stands before each request of a connection. Ends with one line:
-- RESULT requests microseconds p50 p99 errors.

local requests, pause = {}, nil

local function head(line, extra)
    local text = line .. " HTTP/1.1\r\nHost: v1.example\r\nAccept: */*\r\n"
        .. "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        .. (extra or "") .. "Cookie: session="
    return text .. string.rep("a", 496 - #text) .. "\r\n\r\n"
end

local function post(size)
    return head("POST /api/orders", "Content-Length: " .. size .. "\r\n") .. string.rep("p", size)
end

function init(args)
    local kind = args[1] or "get"
    if kind == "get" then
        requests[1] = head("GET /api/orders/17?expand=items")
    elseif kind == "post" then
        requests[1] = post(1024)
    else
        -- Of 200 in turn: 160 of 2 KB, 20 posts, 16 of 20 KB, 3 of 200 KB, one of 1 MB.
        for number = 1, 200 do
            local text = head("GET /files/2k")
            if number % 10 == 0 then text = post(number * 100) end
            if number % 12 == 5 then text = head("GET /files/20k") end
            if number % 60 == 7 then text = head("GET /files/200k") end
            if number == 111 then text = head("GET /files/1m") end
            requests[number] = text
        end
    end
    pause = tonumber(args[2])
    if pause then delay = function() return pause end end
end

local turn = 0
function request()
    turn = turn % #requests + 1
    return requests[turn]
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99),
        e.connect + e.read + e.write + e.status + e.timeout))
end
