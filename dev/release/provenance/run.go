package provenance

import (
	"net/url"
	"strings"
)

// Run is a run of continuous integration. On a machine that is none, both are empty.
type Run struct {
	// Builder is a URI of the service and the account that ran the build.
	Builder string
	// URL is the run's page.
	URL string
}

// FromEnvironment tells the run by the variables that Buildkite and GitHub Actions set.
func FromEnvironment(getenv func(string) string) Run {
	switch {
	case getenv("BUILDKITE") == "true":
		return Run{
			Builder: "https://buildkite.com/" + url.PathEscape(getenv("BUILDKITE_ORGANIZATION_SLUG")) + "/" + url.PathEscape(getenv("BUILDKITE_PIPELINE_SLUG")),
			URL:     PublicURL(getenv("BUILDKITE_BUILD_URL")),
		}
	case getenv("GITHUB_ACTIONS") == "true":
		repository := PublicURL(getenv("GITHUB_SERVER_URL") + "/" + getenv("GITHUB_REPOSITORY"))
		return Run{
			Builder: repository + "/actions",
			URL:     repository + "/actions/runs/" + url.PathEscape(getenv("GITHUB_RUN_ID")) + "/attempts/" + url.PathEscape(getenv("GITHUB_RUN_ATTEMPT")),
		}
	}
	return Run{}
}

// PublicURL is a URL as it may be published: one of http, https or ssh, without user, password, query and fragment. The short form of git
// ("git@host:path") becomes one of ssh. Anything else, such as a directory, is nothing that others can reach, and becomes empty.
func PublicURL(text string) string {
	if host, path, found := strings.Cut(text, ":"); found && !strings.HasPrefix(path, "//") && !strings.HasPrefix(path, ":") && !strings.Contains(host, "/") {
		text = "ssh://" + host + "/" + strings.TrimPrefix(path, "/")
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Hostname() == "" {
		return ""
	}
	switch parsed.Scheme {
	case "http", "https", "ssh":
	default:
		return ""
	}
	return (&url.URL{Scheme: parsed.Scheme, Host: parsed.Host, Path: parsed.Path}).String()
}
