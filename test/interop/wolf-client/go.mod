module turnabout/test/interop/wolf-client

go 1.26.0
