package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// Many let the next one run, so many times each.
func switches(numbers []int) (int, int) {
	count, laps := numbers[0], numbers[1]
	var all sync.WaitGroup
	all.Add(count)
	there, start := 0, make(chan bool) // all run on one thread
	for i := 0; i < count; i++ {
		go func() {
			there++
			<-start
			for lap := 0; lap < laps; lap++ {
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	for there < count {
		runtime.Gosched()
	}
	begun = time.Now()
	close(start)
	all.Wait()
	return count * laps, 0
}

// One sends to the other, who waits for it.
func messages(numbers []int) (int, int) {
	count := numbers[0]
	values, sum := make(chan int), make(chan int)
	go func() {
		total := 0
		for i := 0; i < count; i++ {
			total += <-values
		}
		sum <- total
	}()
	for i := 0; i < count; i++ {
		values <- 1
	}
	return count, <-sum
}

// Made, run and ended, so many at a time.
func create(numbers []int) (int, int) {
	count, atOnce := numbers[0], numbers[1]
	ended := 0
	var all sync.WaitGroup
	for done := 0; done < count; done += atOnce {
		all.Add(atOnce)
		for i := 0; i < atOnce; i++ {
			go func() {
				ended++ // one thread: GOMAXPROCS=1
				all.Done()
			}()
		}
		all.Wait()
	}
	return ended, ended
}

// descend waits in the depth-th call from here.
//
//go:noinline
func descend(depth int, values chan int) int {
	if depth > 1 {
		return descend(depth-1, values) + 1
	}
	return <-values
}

func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		panic(err)
	}
	return pages * os.Getpagesize()
}

// Bytes that each of so many blocked ones takes.
func memory(numbers []int) float64 {
	count, depth := numbers[0], numbers[1]
	values := make(chan int)
	begun := 0
	before := resident()
	for i := 0; i < count; i++ {
		go func() {
			begun++ // one thread: GOMAXPROCS=1
			descend(depth, values)
		}()
	}
	for begun < count {
		runtime.Gosched()
	}
	return float64(resident()-before) / float64(count)
}
