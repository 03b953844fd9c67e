package network

import (
	"encoding/binary"
	"errors"
)

const (
	// maxMessage is the largest DNS message in bytes: its length is 16 bits over TCP, and UDP holds a little less.
	maxMessage = 64<<10 - 1
	headerSize = 12
	// isResponse, with the code below, lies in bytes 2 and 3 of a message.
	isResponse   = 0x80
	responseCode = 0x0f
	serverFailed = 2
)

var errNotDNS = errors.New("not a DNS message")

// isQuery says whether a message from a machine is one that the relay passes on.
func isQuery(message []byte) bool { return len(message) >= headerSize && message[2]&isResponse == 0 }

// answers says whether response is one to query. That it is from the right address is the socket's affair.
func answers(response, query []byte) bool {
	return len(response) >= headerSize && response[2]&isResponse != 0 && response[0] == query[0] && response[1] == query[1]
}

// failure is the response that tells the machine at once that its query can't be answered. It repeats the question, by which stub resolvers
// know a response, when there is one that can be read.
func failure(query []byte) []byte {
	end, questions := headerSize, uint16(0)
	if binary.BigEndian.Uint16(query[4:]) == 1 {
		if after, ok := skipQuestion(query, headerSize); ok {
			end, questions = after, 1
		}
	}
	response := make([]byte, end)
	copy(response, query)
	response[2] |= isResponse
	response[3] = response[3]&^responseCode | serverFailed
	binary.BigEndian.PutUint16(response[4:], questions)
	clear(response[6:headerSize]) // counts of the sections that aren't there
	return response
}

// skipQuestion returns where the question at offset at ends. Questions have no compressed names.
func skipQuestion(message []byte, at int) (int, bool) {
	for at < len(message) {
		label := int(message[at])
		switch {
		case label == 0:
			at += 1 + 4 // type and class
			return at, at <= len(message)
		case label > 63:
			return 0, false
		}
		at += 1 + label
	}
	return 0, false
}
