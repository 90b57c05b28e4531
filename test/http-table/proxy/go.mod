module turnabout.test/proxy

go 1.24
