// This file is here so that server.go may declare a function without a body.
