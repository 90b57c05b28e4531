module turnabout/test/interop/revdial

go 1.26.0
