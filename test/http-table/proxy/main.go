// A reverse proxy as net/http/httputil makes it, below /route/: what the table compares with. Twice: in front of a target
// that speaks HTTP/1.1, and in front of one that speaks HTTP/2 with prior knowledge.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: proxy TARGET HTTP2_TARGET")
	}
	var http1, http2 http.Protocols
	http1.SetHTTP1(true)
	http2.SetUnencryptedHTTP2(true)
	serve(os.Args[1], &http1)
	serve(os.Args[2], &http2)
	select {}
}

func serve(target string, protocols *http.Protocols) {
	to, err := url.Parse("http://" + target)
	if err != nil {
		log.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(to)
			request.SetXForwarded()
		},
		Transport: &http.Transport{Protocols: protocols, DisableCompression: true},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{Handler: http.StripPrefix("/route", proxy), Protocols: protocols}
	go func() { log.Fatal(server.Serve(listener)) }()
}
