package jobsapi

// Route is a route as openapi.yaml describes it.
type Route struct {
	Method, Path string
	Query        []string
	Public       bool
}

// Routes lists all routes.
func Routes() []Route {
	var out []Route
	for _, r := range routes {
		out = append(out, Route{r.method, r.path, r.query, r.public})
	}
	return out
}
