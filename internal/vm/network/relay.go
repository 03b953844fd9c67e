package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/sourcegraph/log"
)

const (
	// queryTime is how long a query may take, whatever its resolvers do.
	queryTime = 5 * time.Second
	// idleTime is how long a TCP connection may take over its next query, or to take an answer.
	idleTime = 5 * time.Second
	// afterError is how long a socket that failed is left alone.
	afterError = 100 * time.Millisecond
	// maxDatagrams and maxConnections are how many UDP queries and TCP connections of one machine are served at a time. More datagrams wait
	// in the socket's buffer and are dropped by the kernel when that is full; more connections wait to be accepted. Each holds 128 KiB at
	// most, so that a machine's relay stays below 12 MiB.
	maxDatagrams   = 64
	maxConnections = 16
)

// relay passes a machine's DNS queries to the host's resolvers, as they are, and the answers back. It keeps nothing, so machines can't
// spoil each other's answers.
type relay struct {
	logger    log.Logger
	udp       *net.UDPConn
	tcp       *net.TCPListener
	client    netip.Addr
	resolvers func() ([]netip.AddrPort, error)
	queryTime time.Duration

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	lastLog time.Time
}

// startRelay serves what comes from client on both sockets, which it closes at close.
func startRelay(logger log.Logger, udp *net.UDPConn, tcp *net.TCPListener, client netip.Addr,
	resolvers func() ([]netip.AddrPort, error), queryTime time.Duration,
) *relay {
	r := &relay{logger: logger, udp: udp, tcp: tcp, client: client, resolvers: resolvers, queryTime: queryTime}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.wg.Go(r.serveUDP)
	r.wg.Go(r.serveTCP)
	return r
}

// close ends the relay, with whatever it is doing, and waits for it.
func (r *relay) close() error {
	r.cancel()
	err := errors.Join(r.udp.Close(), r.tcp.Close())
	r.wg.Wait()
	return err
}

func (r *relay) serveUDP() {
	slots := make(chan struct{}, maxDatagrams)
	buffer := make([]byte, maxMessage)
	for {
		n, from, err := r.udp.ReadFromUDPAddrPort(buffer)
		if r.ctx.Err() != nil {
			return
		}
		if err != nil {
			r.complain("taking a DNS query", err)
			if errors.Is(err, net.ErrClosed) || !pause(r.ctx, afterError) {
				return
			}
			continue
		}
		if from.Addr().Unmap() != r.client || !isQuery(buffer[:n]) {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-r.ctx.Done():
			return
		}
		query := append([]byte(nil), buffer[:n]...)
		r.wg.Go(func() {
			defer func() { <-slots }()
			response := r.answer(query, askUDP)
			// A machine that takes nothing fills its socket's buffer. When the answer can't be sent, it asks again.
			_ = r.udp.SetWriteDeadline(time.Now().Add(idleTime))
			_, _ = r.udp.WriteToUDPAddrPort(response, from)
		})
	}
}

func (r *relay) serveTCP() {
	slots := make(chan struct{}, maxConnections)
	for {
		select {
		case slots <- struct{}{}:
		case <-r.ctx.Done():
			return
		}
		conn, err := r.tcp.Accept()
		if r.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		if err != nil {
			<-slots
			r.complain("taking a DNS connection", err)
			if !pause(r.ctx, afterError) { // out of files, for example
				return
			}
			continue
		}
		r.wg.Go(func() {
			defer func() { <-slots }()
			defer context.AfterFunc(r.ctx, func() { _ = conn.Close() })()
			defer conn.Close()
			if conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap() == r.client {
				r.converse(conn)
			}
		})
	}
}

// converse answers the queries of a connection one after another.
func (r *relay) converse(conn net.Conn) {
	for {
		if conn.SetDeadline(time.Now().Add(idleTime)) != nil {
			return
		}
		query, err := readMessage(conn)
		if err != nil || !isQuery(query) {
			return
		}
		response := r.answer(query, askTCP)
		if conn.SetDeadline(time.Now().Add(idleTime)) != nil || writeMessage(conn, response) != nil {
			return
		}
	}
}

// ask sends query to a resolver and returns its answer.
type ask func(ctx context.Context, resolver netip.AddrPort, query []byte) ([]byte, error)

// answer tries the resolvers in their order; each gets its share of the time that is left.
func (r *relay) answer(query []byte, ask ask) []byte {
	ctx, cancel := context.WithTimeout(r.ctx, r.queryTime)
	defer cancel()
	resolvers, err := r.resolvers()
	if err == nil && len(resolvers) == 0 {
		err = errors.New("there is no resolver")
	}
	for i, resolver := range resolvers {
		if ctx.Err() != nil {
			break
		}
		deadline, _ := ctx.Deadline()
		share, done := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(len(resolvers)-i))
		response, failed := ask(share, resolver, query)
		done()
		if failed == nil {
			return response
		}
		err = errors.Join(err, fmt.Errorf("asking %s: %w", resolver, failed))
	}
	r.complain("no answer to a DNS query", err)
	return failure(query)
}

// complain logs once in a while: how often there is a reason is up to the machine.
func (r *relay) complain(what string, err error) {
	if err == nil || r.ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.lastLog) >= time.Minute {
		r.lastLog = now
		r.logger.Warn(what, log.String("machine", r.client.String()), log.Error(err))
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
