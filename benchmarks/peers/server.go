// A goroutine for each connection; with an argument it answers lines.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
)

func converse(connection net.Conn) {
	defer connection.Close()
	connection.Write([]byte("Welcome!"))
	in, out := make([]byte, 1024), make([]byte, 0, 1040)
	for {
		length, err := connection.Read(in)
		if err != nil || string(in[:length]) == "exit" {
			return
		}
		out = append(append(append(out[:0], "Hello, "...), in[:length]...), '!')
		connection.Write(out)
	}
}

func lines(connection net.Conn) {
	defer connection.Close()
	connection.Write([]byte("Welcome!\r\n"))
	in, out := bufio.NewReader(connection), bufio.NewWriter(connection)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		out.WriteString("Hello, ")
		out.Write(line[:len(line)-1])
		out.WriteString("!\n")
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}

func main() {
	listening, _ := net.Listen("tcp", "127.0.0.1:0")
	fmt.Println(listening.Addr().(*net.TCPAddr).Port)
	serve := converse
	if len(os.Args) > 1 {
		serve = lines
	}
	for {
		connection, err := listening.Accept()
		if err == nil {
			go serve(connection)
		}
	}
}
