-- Calls `echo` without a pause, with so many requests at once on each connection, and looks at every answer:
--   wrk -t 2 -c 16 -d 10s -s tests/other-language/wrk.lua http://127.0.0.1:PORT -- [DEPTH]
-- against a service `test` as in tests/src/test_service.rs (any service with `echo(&str) -> String` will do: its path
-- is the URL's, or else /test/echo).

local threads = {}
local wrong = 0

function setup(thread)
   table.insert(threads, thread)
end

function init(arguments)
   local path = wrk.path ~= "/" and wrk.path or "/test/echo"
   local one = wrk.format("POST", path, { ["Content-Type"] = "application/json" }, '"Hello"')
   all = string.rep(one, tonumber(arguments[1]) or 1)
   unexpected = 0
end

function request()
   return all
end

function response(status, headers, body)
   if status ~= 200 or body ~= '"Hello"' then
      unexpected = unexpected + 1
   end
end

function done(summary, latency, requests)
   for _, thread in ipairs(threads) do
      wrong = wrong + thread:get("unexpected")
   end
   print(wrong == 0 and "every answer as expected" or wrong .. " answers were not as expected")
end
