package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/open-executor/executor/internal/fault"
	"github.com/open-executor/executor/internal/pod"
	"github.com/open-executor/executor/internal/pod/spool"
	"github.com/open-executor/executor/internal/vm/channel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "the pod's key"

// site is an agent that serves.
type site struct {
	Options
	ended chan error
}

func serve(t *testing.T, containers int, unattended time.Duration) *site {
	t.Helper()
	return serveWith(t, containers, func(o *Options) { o.Unattended = unattended })
}

func serveWith(t *testing.T, containers int, adjust func(*Options)) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{ended: make(chan error, 1), Options: Options{
		Workspace: filepath.Join(dir, "job"), PrivateDir: filepath.Join(dir, "own"), StepSocket: filepath.Join(dir, "s"), AttachSocket: filepath.Join(dir, "a"),
		Key: key, Containers: containers,
	}}
	adjust(&s.Options)
	for _, made := range []string{s.Workspace, s.PrivateDir} {
		require.NoError(t, os.Mkdir(made, 0o755))
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { s.ended <- Run(ctx, s.Options) }()
	t.Cleanup(func() {
		cancel()
		<-s.ended
	})
	return s
}

func dial(t *testing.T, socket string) net.Conn {
	t.Helper()
	var conn net.Conn
	require.Eventually(t, func() (made bool) {
		var err error
		conn, err = net.Dial("unix", socket)
		return err == nil
	}, 10*time.Second, time.Millisecond)
	return conn
}

// visit is an executor's connection.
func (s *site) visit(t *testing.T) *channel.Client {
	t.Helper()
	client, err := channel.Connect(t.Context(), dial(t, s.AttachSocket), channel.Timing{Silence: s.Silence, Steady: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func claim(holder string, after time.Duration) channel.Request {
	return channel.Request{Claim: &channel.Claim{Holder: holder, After: after}}
}

// attach is a connection of the executor that holds the pod.
func (s *site) attach(t *testing.T) *channel.Client {
	t.Helper()
	client := s.visit(t)
	_, err := client.Do(t.Context(), claim("holder", 0), channel.Streams{})
	require.NoError(t, err)
	return client
}

// container plays the first process of one: it shows a pass and does what handle does.
func (s *site) container(t *testing.T, number int, pass string, handle channel.Handler) (ended <-chan error) {
	t.Helper()
	conn := dial(t, s.StepSocket)
	_, err := fmt.Fprintf(conn, "%d %s\n", number, pass)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() {
		defer func() { _ = conn.Close() }()
		served <- channel.Serve(t.Context(), conn, handle)
	}()
	t.Cleanup(func() { _ = conn.Close() })
	return served
}

func begin(number int) channel.Request {
	return channel.Request{Begin: &channel.Begin{Container: number, Program: channel.Program{Args: []string{"step", fmt.Sprint(number)}}}}
}

func follow(number int, offset int64) channel.Request {
	return channel.Request{Follow: &channel.Follow{Container: number, Offset: offset}}
}

// A step outlives the connection by which it was begun, and another one hears all of it.
func TestAStepOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, 2, time.Hour)
	var runs atomic.Int64
	goOn := make(chan struct{})
	ended := s.container(t, 1, pod.Pass(key, 1), func(_ context.Context, x channel.Exchange) channel.Result {
		runs.Add(1)
		fmt.Fprint(x.Stdout, "args ", x.Request.Program.Args, "\n")
		<-goOn
		fmt.Fprint(x.Stderr, "told ", (<-x.Signals).Number, "\n")
		return channel.Result{ExitCode: 3}
	})
	first := s.attach(t)
	_, err := first.Do(t.Context(), begin(1), channel.Streams{})
	require.NoError(t, err)
	var out, errs strings.Builder
	records := spool.NewDecoder(&out, &errs)
	heard := make(chan struct{}, 1)
	_, err = first.Start(follow(1, 0), channel.Streams{Stdout: telling{records, heard}})
	require.NoError(t, err)
	<-heard
	require.NoError(t, first.Close())

	second := s.attach(t)
	_, err = second.Do(t.Context(), begin(1), channel.Streams{})
	require.NoError(t, err, "begun again, which changes nothing")
	call, err := second.Start(follow(1, records.Offset()), channel.Streams{Stdout: records})
	require.NoError(t, err)
	close(goOn)
	require.NoError(t, call.Signal(channel.Signal{Number: syscall.SIGTERM}))
	result, err := call.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, channel.Result{ExitCode: 3}, result)
	require.Equal(t, "args [step 1]\n", out.String())
	require.Equal(t, "told terminated\n", errs.String())
	require.Error(t, <-ended, "the container's connection ends with its step")
	require.EqualValues(t, 1, runs.Load())

	out.Reset()
	result, err = s.attach(t).Do(t.Context(), follow(1, 0), channel.Streams{Stdout: spool.NewDecoder(&out, io.Discard)})
	require.NoError(t, err)
	require.Equal(t, 3, result.ExitCode)
	require.Equal(t, "args [step 1]\n", out.String(), "all of it, as often as asked")
}

// telling tells of a Write.
type telling struct {
	io.Writer
	heard chan<- struct{}
}

func (w telling) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	select {
	case w.heard <- struct{}{}:
	default:
	}
	return n, err
}

// No step may take the place of another one, whose secrets it would be told.
func TestContainersShowTheirPass(t *testing.T) {
	t.Parallel()
	s := serve(t, 2, time.Hour)
	stolen := func(context.Context, channel.Exchange) channel.Result { return channel.Result{ExitCode: 66} }
	for _, introduction := range []struct {
		number int
		pass   string
	}{{1, pod.Pass(key, 0)}, {1, ""}, {1, key}, {2, pod.Pass(key, 2)}, {-1, pod.Pass(key, -1)}, {1, strings.Repeat("x", 10_000)}} {
		require.Error(t, <-s.container(t, introduction.number, introduction.pass, stolen))
	}
	s.container(t, 1, pod.Pass(key, 1), func(context.Context, channel.Exchange) channel.Result { return channel.Result{ExitCode: 1} })
	client := s.attach(t)
	_, err := client.Do(t.Context(), begin(1), channel.Streams{})
	require.NoError(t, err)
	require.Error(t, <-s.container(t, 1, pod.Pass(key, 1), stolen), "a second one of that number")
	result, err := client.Do(t.Context(), follow(1, 0), channel.Streams{})
	require.NoError(t, err)
	require.Equal(t, 1, result.ExitCode)
}

// A step that was told to stop before its container was there never begins.
func TestStoppedBeforeTheContainerCame(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, time.Hour)
	client := s.attach(t)
	call, err := client.Start(begin(0), channel.Streams{})
	require.NoError(t, err)
	require.NoError(t, call.Signal(channel.Signal{Number: syscall.SIGTERM}))
	_, err = call.Wait(t.Context())
	require.EqualError(t, err, "stopped before its container was there")
	_, err = client.Do(t.Context(), follow(0, 0), channel.Streams{})
	require.EqualError(t, err, "the step has not begun")
	for _, request := range []channel.Request{begin(7), begin(-1), follow(1, 0), {Warm: &channel.Warm{}}} {
		_, err := client.Do(t.Context(), request, channel.Streams{})
		require.Error(t, err)
	}
}

func TestAContainerThatDies(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, time.Hour)
	conn := dial(t, s.StepSocket)
	fmt.Fprintf(conn, "0 %s\n", pod.Pass(key, 0))
	go func() {
		_ = channel.Serve(t.Context(), conn, func(context.Context, channel.Exchange) channel.Result {
			_ = conn.Close()
			return channel.Result{}
		})
	}()
	client := s.attach(t)
	_, err := client.Do(t.Context(), begin(0), channel.Streams{})
	require.NoError(t, err)
	_, err = client.Do(t.Context(), follow(0, 0), channel.Streams{})
	var answer *channel.Error
	require.ErrorAs(t, err, &answer)
	require.Equal(t, fault.Infrastructure, fault.ClassOf(err))
}

func TestAnAgentIsToldToEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, time.Hour)
	client := s.attach(t)
	call, err := client.Start(channel.Request{PowerOff: &channel.PowerOff{}}, channel.Streams{})
	require.NoError(t, err)
	_, _ = call.Wait(t.Context()) // the answer may not get out any more
	err = <-s.ended
	require.ErrorIs(t, err, ErrEnded)
	require.FileExists(t, s.StepSocket+pod.EndedSuffix, "for steps that start later")
	s.ended <- err
}

func TestTheWorkspace(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, time.Hour)
	client := s.attach(t)
	archive := func(name string) *bytes.Reader {
		var content bytes.Buffer
		out := tar.NewWriter(&content)
		require.NoError(t, out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 4, Mode: 0o644}))
		_, err := out.Write([]byte("text"))
		require.NoError(t, err)
		require.NoError(t, out.Close())
		return bytes.NewReader(content.Bytes())
	}
	unpack := channel.Request{Unpack: &channel.Unpack{}}
	_, err := client.Do(t.Context(), unpack, channel.Streams{Input: archive("half")})
	require.NoError(t, err)
	_, err = client.Do(t.Context(), unpack, channel.Streams{Input: archive("whole")})
	require.NoError(t, err)
	entries, err := os.ReadDir(s.Workspace)
	require.NoError(t, err)
	require.Len(t, entries, 1, "what the first archive left is gone")
	_, err = client.Do(t.Context(), unpack, channel.Streams{Input: archive("../outside")})
	require.ErrorContains(t, err, "unpacking the workspace")

	_, err = client.Do(t.Context(), channel.Request{Write: &channel.Write{Path: "dir/file", Mode: 0o600}}, channel.Streams{Input: strings.NewReader("more")})
	require.NoError(t, err)
	_, err = client.Do(t.Context(), channel.Request{Write: &channel.Write{Path: "../file", Mode: 0o600}}, channel.Streams{Input: strings.NewReader("more")})
	require.Equal(t, fault.User, fault.ClassOf(err))
	var taken bytes.Buffer
	_, err = client.Do(t.Context(), channel.Request{Take: &channel.Take{Path: "dir/file", Limit: 10}}, channel.Streams{Stdout: &taken})
	require.NoError(t, err)
	require.Equal(t, "more", taken.String())
	_, err = client.Do(t.Context(), channel.Request{Take: &channel.Take{Path: "dir/file", Limit: 10}}, channel.Streams{})
	require.ErrorIs(t, err, fs.ErrNotExist)

	s.container(t, 0, pod.Pass(key, 0), func(context.Context, channel.Exchange) channel.Result { return channel.Result{} })
	_, err = client.Do(t.Context(), begin(0), channel.Streams{})
	require.NoError(t, err)
	_, err = client.Do(t.Context(), unpack, channel.Streams{Input: archive("late")})
	require.ErrorContains(t, err, "steps have the workspace already")
}

// An agent ends when nobody has attached to it for long, but not while somebody is.
func TestUnattended(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, 300*time.Millisecond)
	client := s.attach(t)
	select {
	case err := <-s.ended:
		require.FailNow(t, "it ended while attended", "%v", err)
	case <-time.After(time.Second):
	}
	require.NoError(t, client.Close())
	err := <-s.ended
	require.True(t, errors.Is(err, ErrUnattended), "%v", err)
	s.ended <- err
}
