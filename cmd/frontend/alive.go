package main

import (
	"context"
	"net/http"
)

// answers returns the watchdog's question: does the server answer a request to url? Any answer will do, an error of the store too: a
// new process would not mend that, as it does a server that is stuck.
func answers(url string) (alive func(context.Context) error) {
	// A connection of its own each time, and past any proxy: accepting is part of what is asked.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
}
