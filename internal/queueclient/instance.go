package queueclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/open-executor/executor/internal/fault"
)

// jsonNull is the body that the reference sends with these two requests.
var jsonNull = json.RawMessage("null")

// TestAuth asks whether the frontend accepts the shared token. A refusal is an operator error that names both settings.
func (c *Client) TestAuth(ctx context.Context) error {
	_, err := c.exchange(ctx, call{
		what:    "authorization test",
		method:  http.MethodGet,
		path:    []string{".executors", "test", "auth"},
		body:    jsonNull,
		timeout: requestTimeout,
		limit:   maxSmallBytes,
	})
	var status *StatusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status) && status.Code == http.StatusUnauthorized:
		return fmt.Errorf("authorization failed: %w", err)
	default:
		return fmt.Errorf("failed to validate authorization token: %w", err)
	}
}

// SrcCLIVersion asks which version of src the frontend recommends, "5.2.1" for example.
func (c *Client) SrcCLIVersion(ctx context.Context) (string, error) {
	got, err := c.exchange(ctx, call{
		what:    "recommended src version",
		method:  http.MethodGet,
		path:    []string{".api", "src-cli", "version"},
		body:    jsonNull,
		timeout: requestTimeout,
		limit:   maxSmallBytes,
	})
	if err != nil {
		return "", err
	}
	var answer struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(got.body, &answer); err != nil {
		return "", fault.Infrastructuref("recommended src version: malformed answer: %w", err)
	}
	if answer.Version == "" {
		return "", fault.Infrastructuref("recommended src version: the frontend names none")
	}
	return answer.Version, nil
}
